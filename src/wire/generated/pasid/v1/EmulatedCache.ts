// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface EmulatedCache {
  'name'?: (string);
  'device'?: (string);
  'entries'?: (number);
  'capacity'?: (number);
  'evicted'?: (number | string | Long);
}

export interface EmulatedCache__Output {
  'name': (string);
  'device': (string);
  'entries': (number);
  'capacity': (number);
  'evicted': (string);
}
