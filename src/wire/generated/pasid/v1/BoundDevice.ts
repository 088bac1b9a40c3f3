// Original file: proto/pasid/v1/pasid_broker.proto


export interface BoundDevice {
  'device'?: (string);
  'hwptId'?: (number);
}

export interface BoundDevice__Output {
  'device': (string);
  'hwptId': (number);
}
