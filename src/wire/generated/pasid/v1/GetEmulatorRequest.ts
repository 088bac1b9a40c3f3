// Original file: proto/pasid/v1/emulator_lab.proto


export interface GetEmulatorRequest {
}

export interface GetEmulatorRequest__Output {
}
