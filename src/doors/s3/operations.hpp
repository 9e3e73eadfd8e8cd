#pragma once

#include "doors/http/http.hpp"
#include "storage/lake/lake.hpp"

// One function for each operation of the S3 API that the lake serves; an error becomes an answer in
// S3Door::error().
namespace strata::doors::s3 {

using storage::lake::Lake;
using Answer = Task<Result<http::Response>>;

Answer list_buckets(const http::Authorized& request, Lake& lake);
Answer create_bucket(const http::Authorized& request, Lake& lake);
Answer head_bucket(const http::Authorized& request, Lake& lake);
Answer delete_bucket(const http::Authorized& request, Lake& lake);
Answer get_bucket_location(const http::Authorized& request, Lake& lake);

Answer list_objects(const http::Authorized& request, Lake& lake);
Answer list_objects_v2(const http::Authorized& request, Lake& lake);
Answer list_object_versions(const http::Authorized& request, Lake& lake);

Answer put_object(const http::Authorized& request, Lake& lake);
Answer get_object(const http::Authorized& request, Lake& lake);
Answer head_object(const http::Authorized& request, Lake& lake);
Answer get_object_attributes(const http::Authorized& request, Lake& lake);
Answer copy_object(const http::Authorized& request, Lake& lake);
Answer delete_object(const http::Authorized& request, Lake& lake);
Answer delete_objects(const http::Authorized& request, Lake& lake);

Answer get_object_tagging(const http::Authorized& request, Lake& lake);
Answer put_object_tagging(const http::Authorized& request, Lake& lake);
Answer delete_object_tagging(const http::Authorized& request, Lake& lake);

Answer create_multipart_upload(const http::Authorized& request, Lake& lake);
Answer upload_part(const http::Authorized& request, Lake& lake);
Answer upload_part_copy(const http::Authorized& request, Lake& lake);
Answer complete_multipart_upload(const http::Authorized& request, Lake& lake);
Answer abort_multipart_upload(const http::Authorized& request, Lake& lake);
Answer list_parts(const http::Authorized& request, Lake& lake);
Answer list_multipart_uploads(const http::Authorized& request, Lake& lake);

// Sub-resources that the lake does not offer: the answer of a bucket or object on which nothing was
// set.
Answer get_bucket_setting(const http::Authorized& request, Lake& lake);
Answer get_object_setting(const http::Authorized& request, Lake& lake);
// Setting or removing one.
Answer change_setting(const http::Authorized& request, Lake& lake);
// The query parameters that name them.
std::vector<std::string> bucket_settings();
std::vector<std::string> object_settings();

}  // namespace strata::doors::s3
