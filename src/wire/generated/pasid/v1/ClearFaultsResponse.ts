// Original file: proto/pasid/v1/emulator_lab.proto


export interface ClearFaultsResponse {
}

export interface ClearFaultsResponse__Output {
}
