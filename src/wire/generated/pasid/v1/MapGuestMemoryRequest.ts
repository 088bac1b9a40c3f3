// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface MapGuestMemoryRequest {
  'session'?: (string);
  'token'?: (string);
  'guestAddress'?: (number | string | Long);
  'offset'?: (number | string | Long);
  'size'?: (number | string | Long);
  'readOnly'?: (boolean);
}

export interface MapGuestMemoryRequest__Output {
  'session': (string);
  'token': (string);
  'guestAddress': (string);
  'offset': (string);
  'size': (string);
  'readOnly': (boolean);
}
