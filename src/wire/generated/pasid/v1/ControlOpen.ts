// Original file: proto/pasid/v1/pasid_broker.proto


export interface ControlOpen {
  'session'?: (string);
  'receivePageRequests'?: (boolean);
}

export interface ControlOpen__Output {
  'session': (string);
  'receivePageRequests': (boolean);
}
