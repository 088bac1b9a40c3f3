// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface AddressGranularity {
  'pasid'?: (number);
  'rid'?: (boolean);
  'device'?: (string);
  'address'?: (number | string | Long);
  'pages'?: (number | string | Long);
  'leaf'?: (boolean);
  'target'?: "pasid"|"rid";
}

export interface AddressGranularity__Output {
  'pasid'?: (number);
  'rid'?: (boolean);
  'device': (string);
  'address': (string);
  'pages': (string);
  'leaf': (boolean);
  'target'?: "pasid"|"rid";
}
