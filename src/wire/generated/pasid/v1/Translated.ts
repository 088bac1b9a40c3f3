// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface Translated {
  'address'?: (number | string | Long);
  'pageSize'?: (number | string | Long);
}

export interface Translated__Output {
  'address': (string);
  'pageSize': (string);
}
