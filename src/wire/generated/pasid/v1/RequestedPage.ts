// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface RequestedPage {
  'address'?: (number | string | Long);
  'read'?: (boolean);
  'write'?: (boolean);
  'execute'?: (boolean);
  'privileged'?: (boolean);
}

export interface RequestedPage__Output {
  'address': (string);
  'read': (boolean);
  'write': (boolean);
  'execute': (boolean);
  'privileged': (boolean);
}
