// Original file: proto/pasid/v1/emulator_lab.proto


export interface InjectFaultResponse {
}

export interface InjectFaultResponse__Output {
}
