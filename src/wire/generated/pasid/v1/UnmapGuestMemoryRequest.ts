// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface UnmapGuestMemoryRequest {
  'session'?: (string);
  'guestAddress'?: (number | string | Long);
  'size'?: (number | string | Long);
}

export interface UnmapGuestMemoryRequest__Output {
  'session': (string);
  'guestAddress': (string);
  'size': (string);
}
