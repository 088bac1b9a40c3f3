// Original file: proto/pasid/v1/pasid_broker.proto


export interface UnmapGuestMemoryResponse {
  'unmapped'?: (number);
}

export interface UnmapGuestMemoryResponse__Output {
  'unmapped': (number);
}
