// Original file: proto/pasid/v1/pasid_broker.proto


export interface MapGuestMemoryResponse {
  'mapped'?: (boolean);
}

export interface MapGuestMemoryResponse__Output {
  'mapped': (boolean);
}
