// Original file: proto/pasid/v1/types.proto

import type { FirstStageTable as _pasid_v1_FirstStageTable, FirstStageTable__Output as _pasid_v1_FirstStageTable__Output } from '../../pasid/v1/FirstStageTable.js';
import type { PassThrough as _pasid_v1_PassThrough, PassThrough__Output as _pasid_v1_PassThrough__Output } from '../../pasid/v1/PassThrough.js';
import type { BindingState as _pasid_v1_BindingState, BindingState__Output as _pasid_v1_BindingState__Output } from '../../pasid/v1/BindingState.js';

export interface Binding {
  'device'?: (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'firstStage'?: (_pasid_v1_FirstStageTable | null);
  'passThrough'?: (_pasid_v1_PassThrough | null);
  'domain'?: (number);
  'guestPasid'?: (number);
  'state'?: (_pasid_v1_BindingState);
  'cause'?: (string);
  'target'?: "pasid"|"rid";
  'table'?: "firstStage"|"passThrough";
}

export interface Binding__Output {
  'device': (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'firstStage'?: (_pasid_v1_FirstStageTable__Output | null);
  'passThrough'?: (_pasid_v1_PassThrough__Output | null);
  'domain': (number);
  'guestPasid': (number);
  'state': (_pasid_v1_BindingState__Output);
  'cause': (string);
  'target'?: "pasid"|"rid";
  'table'?: "firstStage"|"passThrough";
}
