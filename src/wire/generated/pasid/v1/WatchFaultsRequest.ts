// Original file: proto/pasid/v1/emulator_lab.proto


export interface WatchFaultsRequest {
  'device'?: (string);
}

export interface WatchFaultsRequest__Output {
  'device': (string);
}
