// Original file: proto/pasid/v1/emulator_lab.proto


export interface WriteMemoryResponse {
}

export interface WriteMemoryResponse__Output {
}
