// Original file: proto/pasid/v1/pasid_broker.proto


export interface DeviceReset {
  'device'?: (string);
  'done'?: (boolean);
}

export interface DeviceReset__Output {
  'device': (string);
  'done': (boolean);
}
