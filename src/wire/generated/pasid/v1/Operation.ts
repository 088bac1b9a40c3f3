// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface Operation {
  'sequence'?: (number | string | Long);
  'kind'?: (string);
  'text'?: (string);
}

export interface Operation__Output {
  'sequence': (string);
  'kind': (string);
  'text': (string);
}
