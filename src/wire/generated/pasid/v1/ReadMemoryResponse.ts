// Original file: proto/pasid/v1/emulator_lab.proto


export interface ReadMemoryResponse {
  'data'?: (Buffer | Uint8Array | string);
}

export interface ReadMemoryResponse__Output {
  'data': (Buffer);
}
