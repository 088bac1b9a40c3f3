// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface MapMemoryRequest {
  'session'?: (string);
  'zeros'?: (boolean);
  'path'?: (string);
  'guestAddress'?: (number | string | Long);
  'offset'?: (number | string | Long);
  'size'?: (number | string | Long);
  'readOnly'?: (boolean);
  'source'?: "zeros"|"path";
}

export interface MapMemoryRequest__Output {
  'session': (string);
  'zeros'?: (boolean);
  'path'?: (string);
  'guestAddress': (string);
  'offset': (string);
  'size': (string);
  'readOnly': (boolean);
  'source'?: "zeros"|"path";
}
