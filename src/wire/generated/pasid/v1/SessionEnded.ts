// Original file: proto/pasid/v1/pasid_broker.proto


export interface SessionEnded {
  'cause'?: (string);
}

export interface SessionEnded__Output {
  'cause': (string);
}
