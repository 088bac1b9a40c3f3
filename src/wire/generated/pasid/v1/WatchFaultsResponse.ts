// Original file: proto/pasid/v1/emulator_lab.proto

import type { RecordedFault as _pasid_v1_RecordedFault, RecordedFault__Output as _pasid_v1_RecordedFault__Output } from '../../pasid/v1/RecordedFault.js';
import type { Long } from '@grpc/proto-loader';

export interface WatchFaultsResponse {
  'fault'?: (_pasid_v1_RecordedFault | null);
  'lost'?: (number | string | Long);
  'event'?: "fault"|"lost";
}

export interface WatchFaultsResponse__Output {
  'fault'?: (_pasid_v1_RecordedFault__Output | null);
  'lost'?: (string);
  'event'?: "fault"|"lost";
}
