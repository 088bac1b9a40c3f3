// Original file: proto/pasid/v1/operator.proto


export interface ListAuditEventsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'filter'?: (string);
}

export interface ListAuditEventsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'filter': (string);
}
