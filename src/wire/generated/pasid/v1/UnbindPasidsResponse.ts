// Original file: proto/pasid/v1/pasid_broker.proto


export interface UnbindPasidsResponse {
  'unbound'?: (number);
}

export interface UnbindPasidsResponse__Output {
  'unbound': (number);
}
