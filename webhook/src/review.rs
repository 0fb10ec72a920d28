//! `AdmissionReview` of `admission.k8s.io/v1`: the few fields read, and the answer.
//!
//! The answer is our own type because the client library's writes the patch as an array of numbers, which the API
//! server does not take.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use podfit_cluster::api::object::Object;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What the API server sends. The objects stay unparsed text until it is known what they are.
#[derive(Debug, Deserialize)]
pub struct Review<'a> {
    /// Absent in a body that is no review.
    #[serde(borrow)]
    pub request: Option<Object<Request<'a>>>,
}

/// The question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// Echoed in the answer.
    pub uid: String,
    /// Which kind of object it is about.
    #[serde(default)]
    pub resource: GroupVersionResource,
    /// For example `status` or `resize`; empty for the object itself.
    #[serde(default)]
    pub sub_resource: Option<String>,
    /// CREATE, UPDATE, DELETE or CONNECT.
    #[serde(default)]
    pub operation: String,
    /// Empty when the API server will generate it.
    #[serde(default)]
    pub name: Option<String>,
    /// Where the object lives, also when the object does not say.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Nothing will be stored.
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// The new object.
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    /// The object before an update.
    #[serde(borrow, default)]
    pub old_object: Option<&'a RawValue>,
}

/// A resource's full name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GroupVersionResource {
    /// Empty for the core group.
    pub group: String,
    /// For example `v1`.
    pub version: String,
    /// In plural: `pods`.
    pub resource: String,
}

impl GroupVersionResource {
    /// As `(group, version, resource)`, to be matched on.
    pub fn parts(&self) -> (&str, &str, &str) {
        (&self.group, &self.version, &self.resource)
    }
}

/// The whole answer.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    api_version: &'static str,
    kind: &'static str,
    /// What matters in it.
    pub response: Response,
}

/// The verdict.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The request's.
    pub uid: String,
    /// False only for an invalid VPA.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Refusal>,
    /// `JSONPatch` when there is a patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    /// An RFC 6902 patch, JSON in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    /// Shown to whoever made the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A `metav1.Status` of an object that breaks rules.
#[derive(Debug, PartialEq, Serialize)]
pub struct Refusal {
    status: &'static str,
    reason: &'static str,
    code: u16,
    /// Every rule broken, in words.
    pub message: String,
}

impl Refusal {
    /// An object that is invalid (HTTP 422).
    pub fn invalid(message: String) -> Self {
        Self {
            status: "Failure",
            reason: "Invalid",
            code: 422,
            message,
        }
    }
}

impl Response {
    /// Lets the object through as it is.
    pub fn allow(uid: String) -> Self {
        Self {
            uid,
            allowed: true,
            status: None,
            patch_type: None,
            patch: None,
            warnings: Vec::new(),
        }
    }

    /// Refuses the object.
    pub fn refuse(uid: String, refusal: Refusal) -> Self {
        Self {
            allowed: false,
            status: Some(refusal),
            ..Self::allow(uid)
        }
    }

    /// Adds a patch; an empty one is left out.
    pub fn with_patch(mut self, patch: &Patch) -> Result<Self, serde_json::Error> {
        if !patch.0.is_empty() {
            self.patch = Some(STANDARD.encode(to_json(patch)?));
            self.patch_type = Some("JSONPatch");
        }
        Ok(self)
    }

    /// Adds what the author should know.
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// True when it changes the object.
    pub fn is_patched(&self) -> bool {
        self.patch.is_some()
    }
}

/// As [`serde_json::to_vec`], which begins with room for 128 bytes and doubles it again and again.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(2048);
    serde_json::to_writer(&mut text, value)?;
    Ok(text)
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response,
        }
    }
}
