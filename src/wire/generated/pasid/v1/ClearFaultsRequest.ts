// Original file: proto/pasid/v1/emulator_lab.proto


export interface ClearFaultsRequest {
  'device'?: (string);
}

export interface ClearFaultsRequest__Output {
  'device': (string);
}
