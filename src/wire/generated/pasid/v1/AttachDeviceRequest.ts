// Original file: proto/pasid/v1/pasid_broker.proto


export interface AttachDeviceRequest {
  'session'?: (string);
  'requestId'?: (string);
  'device'?: (string);
}

export interface AttachDeviceRequest__Output {
  'session': (string);
  'requestId': (string);
  'device': (string);
}
