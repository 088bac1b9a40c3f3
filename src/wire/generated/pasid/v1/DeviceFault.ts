// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface DeviceFault {
  'device'?: (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'reason'?: (number);
  'name'?: (string);
  'address'?: (number | string | Long);
  'write'?: (boolean);
  'execute'?: (boolean);
  'privileged'?: (boolean);
  'target'?: "pasid"|"rid";
}

export interface DeviceFault__Output {
  'device': (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'reason': (number);
  'name': (string);
  'address': (string);
  'write': (boolean);
  'execute': (boolean);
  'privileged': (boolean);
  'target'?: "pasid"|"rid";
}
