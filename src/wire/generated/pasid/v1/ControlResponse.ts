// Original file: proto/pasid/v1/pasid_broker.proto

import type { ControlOpened as _pasid_v1_ControlOpened, ControlOpened__Output as _pasid_v1_ControlOpened__Output } from '../../pasid/v1/ControlOpened.js';
import type { AllocatePasidsResponse as _pasid_v1_AllocatePasidsResponse, AllocatePasidsResponse__Output as _pasid_v1_AllocatePasidsResponse__Output } from '../../pasid/v1/AllocatePasidsResponse.js';
import type { FreePasidsResponse as _pasid_v1_FreePasidsResponse, FreePasidsResponse__Output as _pasid_v1_FreePasidsResponse__Output } from '../../pasid/v1/FreePasidsResponse.js';
import type { ListPasidsResponse as _pasid_v1_ListPasidsResponse, ListPasidsResponse__Output as _pasid_v1_ListPasidsResponse__Output } from '../../pasid/v1/ListPasidsResponse.js';
import type { AttachDeviceResponse as _pasid_v1_AttachDeviceResponse, AttachDeviceResponse__Output as _pasid_v1_AttachDeviceResponse__Output } from '../../pasid/v1/AttachDeviceResponse.js';
import type { DetachDeviceResponse as _pasid_v1_DetachDeviceResponse, DetachDeviceResponse__Output as _pasid_v1_DetachDeviceResponse__Output } from '../../pasid/v1/DetachDeviceResponse.js';
import type { BindPasidResponse as _pasid_v1_BindPasidResponse, BindPasidResponse__Output as _pasid_v1_BindPasidResponse__Output } from '../../pasid/v1/BindPasidResponse.js';
import type { UnbindPasidsResponse as _pasid_v1_UnbindPasidsResponse, UnbindPasidsResponse__Output as _pasid_v1_UnbindPasidsResponse__Output } from '../../pasid/v1/UnbindPasidsResponse.js';
import type { InvalidateResponse as _pasid_v1_InvalidateResponse, InvalidateResponse__Output as _pasid_v1_InvalidateResponse__Output } from '../../pasid/v1/InvalidateResponse.js';
import type { RespondPageRequestResponse as _pasid_v1_RespondPageRequestResponse, RespondPageRequestResponse__Output as _pasid_v1_RespondPageRequestResponse__Output } from '../../pasid/v1/RespondPageRequestResponse.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';
import type { ControlError as _pasid_v1_ControlError, ControlError__Output as _pasid_v1_ControlError__Output } from '../../pasid/v1/ControlError.js';
import type { PageRequest as _pasid_v1_PageRequest, PageRequest__Output as _pasid_v1_PageRequest__Output } from '../../pasid/v1/PageRequest.js';
import type { BindingLost as _pasid_v1_BindingLost, BindingLost__Output as _pasid_v1_BindingLost__Output } from '../../pasid/v1/BindingLost.js';
import type { SessionEnded as _pasid_v1_SessionEnded, SessionEnded__Output as _pasid_v1_SessionEnded__Output } from '../../pasid/v1/SessionEnded.js';
import type { QuotaChanged as _pasid_v1_QuotaChanged, QuotaChanged__Output as _pasid_v1_QuotaChanged__Output } from '../../pasid/v1/QuotaChanged.js';
import type { InvalidateRawResponse as _pasid_v1_InvalidateRawResponse, InvalidateRawResponse__Output as _pasid_v1_InvalidateRawResponse__Output } from '../../pasid/v1/InvalidateRawResponse.js';
import type { DeviceFaults as _pasid_v1_DeviceFaults, DeviceFaults__Output as _pasid_v1_DeviceFaults__Output } from '../../pasid/v1/DeviceFaults.js';
import type { DeviceReset as _pasid_v1_DeviceReset, DeviceReset__Output as _pasid_v1_DeviceReset__Output } from '../../pasid/v1/DeviceReset.js';
import type { Long } from '@grpc/proto-loader';

export interface ControlResponse {
  'id'?: (number | string | Long);
  'opened'?: (_pasid_v1_ControlOpened | null);
  'allocatePasids'?: (_pasid_v1_AllocatePasidsResponse | null);
  'freePasids'?: (_pasid_v1_FreePasidsResponse | null);
  'listPasids'?: (_pasid_v1_ListPasidsResponse | null);
  'attachDevice'?: (_pasid_v1_AttachDeviceResponse | null);
  'detachDevice'?: (_pasid_v1_DetachDeviceResponse | null);
  'bindPasid'?: (_pasid_v1_BindPasidResponse | null);
  'unbindPasids'?: (_pasid_v1_UnbindPasidsResponse | null);
  'invalidate'?: (_pasid_v1_InvalidateResponse | null);
  'respondPageRequest'?: (_pasid_v1_RespondPageRequestResponse | null);
  'getSession'?: (_pasid_v1_Session | null);
  'error'?: (_pasid_v1_ControlError | null);
  'pageRequest'?: (_pasid_v1_PageRequest | null);
  'bindingLost'?: (_pasid_v1_BindingLost | null);
  'sessionEnded'?: (_pasid_v1_SessionEnded | null);
  'quotaChanged'?: (_pasid_v1_QuotaChanged | null);
  'invalidateRaw'?: (_pasid_v1_InvalidateRawResponse | null);
  'deviceFaults'?: (_pasid_v1_DeviceFaults | null);
  'deviceReset'?: (_pasid_v1_DeviceReset | null);
  'answer'?: "opened"|"allocatePasids"|"freePasids"|"listPasids"|"attachDevice"|"detachDevice"|"bindPasid"|"unbindPasids"|"invalidate"|"respondPageRequest"|"getSession"|"error"|"pageRequest"|"bindingLost"|"sessionEnded"|"quotaChanged"|"invalidateRaw"|"deviceFaults"|"deviceReset";
}

export interface ControlResponse__Output {
  'id': (string);
  'opened'?: (_pasid_v1_ControlOpened__Output | null);
  'allocatePasids'?: (_pasid_v1_AllocatePasidsResponse__Output | null);
  'freePasids'?: (_pasid_v1_FreePasidsResponse__Output | null);
  'listPasids'?: (_pasid_v1_ListPasidsResponse__Output | null);
  'attachDevice'?: (_pasid_v1_AttachDeviceResponse__Output | null);
  'detachDevice'?: (_pasid_v1_DetachDeviceResponse__Output | null);
  'bindPasid'?: (_pasid_v1_BindPasidResponse__Output | null);
  'unbindPasids'?: (_pasid_v1_UnbindPasidsResponse__Output | null);
  'invalidate'?: (_pasid_v1_InvalidateResponse__Output | null);
  'respondPageRequest'?: (_pasid_v1_RespondPageRequestResponse__Output | null);
  'getSession'?: (_pasid_v1_Session__Output | null);
  'error'?: (_pasid_v1_ControlError__Output | null);
  'pageRequest'?: (_pasid_v1_PageRequest__Output | null);
  'bindingLost'?: (_pasid_v1_BindingLost__Output | null);
  'sessionEnded'?: (_pasid_v1_SessionEnded__Output | null);
  'quotaChanged'?: (_pasid_v1_QuotaChanged__Output | null);
  'invalidateRaw'?: (_pasid_v1_InvalidateRawResponse__Output | null);
  'deviceFaults'?: (_pasid_v1_DeviceFaults__Output | null);
  'deviceReset'?: (_pasid_v1_DeviceReset__Output | null);
  'answer'?: "opened"|"allocatePasids"|"freePasids"|"listPasids"|"attachDevice"|"detachDevice"|"bindPasid"|"unbindPasids"|"invalidate"|"respondPageRequest"|"getSession"|"error"|"pageRequest"|"bindingLost"|"sessionEnded"|"quotaChanged"|"invalidateRaw"|"deviceFaults"|"deviceReset";
}
