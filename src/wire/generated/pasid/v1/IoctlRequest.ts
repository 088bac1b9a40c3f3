// Original file: proto/pasid/v1/vfio_uapi.proto

import type { Long } from '@grpc/proto-loader';

export interface IoctlRequest {
  'session'?: (string);
  'request'?: (number);
  'argument'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
}

export interface IoctlRequest__Output {
  'session': (string);
  'request': (number);
  'argument': (string);
  'data': (Buffer);
}
