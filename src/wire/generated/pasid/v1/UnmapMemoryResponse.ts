// Original file: proto/pasid/v1/emulator_lab.proto


export interface UnmapMemoryResponse {
  'unmapped'?: (number);
}

export interface UnmapMemoryResponse__Output {
  'unmapped': (number);
}
