// Original file: proto/pasid/v1/pasid_broker.proto


export interface DetachDeviceRequest {
  'session'?: (string);
  'requestId'?: (string);
  'device'?: (string);
}

export interface DetachDeviceRequest__Output {
  'session': (string);
  'requestId': (string);
  'device': (string);
}
