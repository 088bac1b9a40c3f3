// Original file: proto/pasid/v1/types.proto

import type { Long } from '@grpc/proto-loader';

export interface HwInfo {
  'dataType'?: (number);
  'data'?: (Buffer | Uint8Array | string);
  'maxPasidLog2'?: (number);
  'capabilities'?: (number | string | Long);
}

export interface HwInfo__Output {
  'dataType': (number);
  'data': (Buffer);
  'maxPasidLog2': (number);
  'capabilities': (string);
}
