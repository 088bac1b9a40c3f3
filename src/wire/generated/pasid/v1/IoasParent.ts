// Original file: proto/pasid/v1/pasid_broker.proto


export interface IoasParent {
  'ioasId'?: (number);
  'dirtyTracking'?: (boolean);
}

export interface IoasParent__Output {
  'ioasId': (number);
  'dirtyTracking': (boolean);
}
