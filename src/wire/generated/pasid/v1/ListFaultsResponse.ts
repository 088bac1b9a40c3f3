// Original file: proto/pasid/v1/emulator_lab.proto

import type { RecordedFault as _pasid_v1_RecordedFault, RecordedFault__Output as _pasid_v1_RecordedFault__Output } from '../../pasid/v1/RecordedFault.js';
import type { Long } from '@grpc/proto-loader';

export interface ListFaultsResponse {
  'faults'?: (_pasid_v1_RecordedFault)[];
  'lost'?: (number | string | Long);
}

export interface ListFaultsResponse__Output {
  'faults': (_pasid_v1_RecordedFault__Output)[];
  'lost': (string);
}
