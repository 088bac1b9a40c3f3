// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface DumpTablesRequest {
  'device'?: (string);
  'firstPasid'?: (number);
  'count'?: (number);
  'walkAddress'?: (number | string | Long);
  '_walkAddress'?: "walkAddress";
}

export interface DumpTablesRequest__Output {
  'device': (string);
  'firstPasid': (number);
  'count': (number);
  'walkAddress'?: (string);
  '_walkAddress'?: "walkAddress";
}
