// Original file: proto/pasid/v1/operator.proto


export interface ListAllocationsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'filter'?: (string);
}

export interface ListAllocationsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'filter': (string);
}
