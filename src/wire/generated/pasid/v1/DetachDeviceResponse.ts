// Original file: proto/pasid/v1/pasid_broker.proto


export interface DetachDeviceResponse {
  'unbound'?: (number);
  'durable'?: (boolean);
}

export interface DetachDeviceResponse__Output {
  'unbound': (number);
  'durable': (boolean);
}
