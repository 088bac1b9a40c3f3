// Original file: proto/pasid/v1/operator.proto


export interface ListSessionsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'filter'?: (string);
}

export interface ListSessionsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'filter': (string);
}
