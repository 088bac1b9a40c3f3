// Original file: proto/pasid/v1/vfio_uapi.proto


export interface IoctlResponse {
  'result'?: (number);
  'error'?: (number);
  'data'?: (Buffer | Uint8Array | string);
}

export interface IoctlResponse__Output {
  'result': (number);
  'error': (number);
  'data': (Buffer);
}
