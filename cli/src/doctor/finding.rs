//! What a check found.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, or may work, and deserves a look.
    Warn,
    /// It is at fault.
    Fail,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The host's name.
    Name,
    /// A TCP port.
    Tcp,
    /// Who answers over TLS.
    Certificate,
    /// The HTTP interface.
    Http,
    /// Whether new calls are taken.
    Health,
    /// The software's version.
    Version,
    /// The clock.
    Clock,
    /// The media port.
    Udp,
    /// The address that is given to others.
    Nat,
    /// The entry in the register.
    Register,
    /// A TURN server.
    Turn,
    /// A port of this machine.
    Port,
    /// Open files.
    Files,
    /// Socket buffers.
    Buffers,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Check::Name => "name",
            Check::Tcp => "tcp",
            Check::Certificate => "certificate",
            Check::Http => "http",
            Check::Health => "health",
            Check::Version => "version",
            Check::Clock => "clock",
            Check::Udp => "udp",
            Check::Nat => "nat",
            Check::Register => "register",
            Check::Turn => "turn",
            Check::Port => "port",
            Check::Files => "files",
            Check::Buffers => "buffers",
        })
    }
}

/// A check's result: one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// Of what: an address, a URL, a file.
    pub target: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(check: Check, target: impl fmt::Display, verdict: Verdict, found: impl fmt::Display) -> Self {
        Self { check, target: target.to_string(), verdict, found: found.to_string(), advice: None }
    }

    /// As it should be.
    pub fn ok(check: Check, target: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(check, target, Verdict::Ok, found)
    }

    /// It deserves a look.
    pub fn warn(check: Check, target: impl fmt::Display, found: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { advice: Some(advice.to_string()), ..Self::new(check, target, Verdict::Warn, found) }
    }

    /// It is at fault.
    pub fn fail(check: Check, target: impl fmt::Display, found: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { advice: Some(advice.to_string()), ..Self::new(check, target, Verdict::Fail, found) }
    }
}

/// All findings as a document.
pub fn json(findings: &[Finding]) -> Value {
    json!({ "checks": findings, "failed": count(findings, Verdict::Fail), "warned": count(findings, Verdict::Warn) })
}

/// All findings for people, a line each.
pub fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.target.chars().count()).max().unwrap_or(0);
    let line = |finding: &Finding| {
        let advice = finding.advice.as_ref().map(|advice| format!(" → {advice}")).unwrap_or_default();
        format!(
            "{:<4}  {:<11}  {:<width$}  {}{advice}\n",
            finding.verdict.as_str(),
            finding.check,
            finding.target,
            finding.found
        )
    };
    findings.iter().map(line).collect()
}

/// The checks that failed, each named once.
pub fn failed(findings: &[Finding]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Fail) {
        let name = finding.check.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_and_the_advice_is_in_it() {
        let findings = [
            Finding::ok(Check::Tcp, "a:1", "connected"),
            Finding::fail(Check::Udp, "a:22", "silence", "open the port"),
            Finding::fail(Check::Udp, "b:1", "silence", "open the port"),
        ];
        assert_eq!(
            text(&findings),
            "ok    tcp          a:1   connected\nfail  udp          a:22  silence → open the port\nfail  udp          b:1   silence → open the port\n"
        );
        assert_eq!(failed(&findings), ["udp"]);
        let json = json(&findings);
        assert_eq!((&json["failed"], &json["warned"]), (&2.into(), &0.into()));
        assert_eq!(json["checks"][1]["verdict"], "fail");
        assert_eq!(json["checks"][0].get("advice"), None);
    }
}
