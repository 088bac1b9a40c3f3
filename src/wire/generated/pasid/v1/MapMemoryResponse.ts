// Original file: proto/pasid/v1/emulator_lab.proto


export interface MapMemoryResponse {
}

export interface MapMemoryResponse__Output {
}
