// Original file: proto/pasid/v1/emulator_lab.proto

import type { Operation as _pasid_v1_Operation, Operation__Output as _pasid_v1_Operation__Output } from '../../pasid/v1/Operation.js';
import type { Long } from '@grpc/proto-loader';

export interface ListOperationsResponse {
  'operations'?: (_pasid_v1_Operation)[];
  'lost'?: (number | string | Long);
}

export interface ListOperationsResponse__Output {
  'operations': (_pasid_v1_Operation__Output)[];
  'lost': (string);
}
