//! SRTP and SRTCP of one connection: what leaves is sealed, reports that come are opened (RFC 3711, RFC 7714).
//!
//! Each pair of key and nonce is used once: a packet's nonce is made of its SSRC and extended sequence number, and the SSRCs that this side
//! sends are drawn here and nowhere else; all SRTCP of this side takes its index from one counter, and the engine seals nothing that leaves.

use super::keys::Keys;
use crate::sfu::ingress::Sealed;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use std::sync::Arc;
use str0m::crypto::{
    AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_80, Aes128CmSha1_80Cipher, CryptoProvider, Sha1HmacProvider,
    SrtpProvider, dtls::SrtpProfile,
};

/// Bytes of an SRTCP packet that stay in clear: header and first SSRC.
const RTCP_CLEAR: usize = 8;
/// Bytes of the SRTCP index.
const RTCP_INDEX: usize = 4;
/// The bit that says that an SRTCP packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// What the engine's counter mode wants behind its output, in bytes.
const COUNTER_SLACK: usize = 15;
/// Length of the tags of both GCM profiles, in bytes.
const GCM_TAG: usize = 16;

/// A packet cannot be sealed or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SrtpError {
    /// The keying material is not of the profile's length.
    #[error("keying material of the wrong length")]
    Material,
    /// The profile is unknown here.
    #[error("an unknown protection profile")]
    Profile,
    /// Too short to be what it should be.
    #[error("too short")]
    Short,
    /// The cipher refused it, or it was not made with this key.
    #[error("not authentic")]
    Cipher,
    /// As many SRTCP packets were sent as one key allows.
    #[error("the key is used up")]
    Exhausted,
}

/// Labels of the key derivation (RFC 3711 §4.3.2).
#[derive(Clone, Copy)]
enum Label {
    RtpCipher = 0,
    RtpTag = 1,
    RtpSalt = 2,
    RtcpCipher = 3,
    RtcpTag = 4,
    RtcpSalt = 5,
}

/// One side's master key and salt.
struct Master<'a> {
    key: &'a [u8],
    salt: &'a [u8],
    provider: &'a dyn SrtpProvider,
}

impl Master<'_> {
    /// AES in counter mode over label and salt (RFC 3711 §4.3.3; RFC 6188 §3.1 for keys of 256 bits).
    fn derive<const N: usize>(&self, label: Label) -> [u8; N] {
        let mut input = [0u8; 16];
        for (to, from) in input.iter_mut().zip(self.salt) {
            *to = *from;
        }
        if let Some(byte) = input.get_mut(7) {
            *byte ^= label as u8;
        }
        let mut out = [0u8; N];
        for (round, part) in out.chunks_mut(16).enumerate() {
            let [.., high, low] = &mut input;
            [*high, *low] = (round as u16).to_be_bytes();
            // The engine's block functions want room for a second block.
            let mut block = [0u8; 32];
            if self.key.len() == 32 {
                self.provider.srtp_aes_256_ecb_round(self.key, &input, &mut block);
            } else {
                self.provider.srtp_aes_128_ecb_round(self.key, &input, &mut block);
            }
            for (to, from) in part.iter_mut().zip(block) {
                *to = from;
            }
        }
        out
    }
}

/// A session key with its salt.
#[derive(Debug)]
enum Cipher {
    /// Without the engine's interface, which copies the payload into a buffer that has to be there already.
    Gcm {
        salt: [u8; 12],
        key: LessSafeKey,
    },
    Counter {
        salt: [u8; 14],
        tag_key: [u8; 20],
        cipher: Box<dyn Aes128CmSha1_80Cipher>,
    },
}

impl Cipher {
    fn new(master: &Master<'_>, profile: SrtpProfile, rtp: bool, encrypt: bool) -> Result<Self, SrtpError> {
        let (cipher, tag, salt) = if rtp {
            (Label::RtpCipher, Label::RtpTag, Label::RtpSalt)
        } else {
            (Label::RtcpCipher, Label::RtcpTag, Label::RtcpSalt)
        };
        let provider = master.provider;
        Ok(match profile {
            SrtpProfile::AEAD_AES_128_GCM => {
                Self::gcm(&AES_128_GCM, &master.derive::<{ AeadAes128Gcm::KEY_LEN }>(cipher), master.derive(salt))?
            }
            SrtpProfile::AEAD_AES_256_GCM => {
                Self::gcm(&AES_256_GCM, &master.derive::<{ AeadAes256Gcm::KEY_LEN }>(cipher), master.derive(salt))?
            }
            SrtpProfile::AES128_CM_SHA1_80 => Self::Counter {
                salt: master.derive(salt),
                tag_key: master.derive(tag),
                cipher: provider.aes_128_cm_sha1_80().create_cipher(master.derive(cipher), encrypt),
            },
            _ => return Err(SrtpError::Profile),
        })
    }

    fn gcm(algorithm: &'static Algorithm, key: &[u8], salt: [u8; 12]) -> Result<Self, SrtpError> {
        let key = UnboundKey::new(algorithm, key).map_err(|_| SrtpError::Material)?;
        Ok(Self::Gcm { salt, key: LessSafeKey::new(key) })
    }
}

/// The protection of one connection.
#[derive(Debug)]
pub struct Srtp {
    rtp_out: Cipher,
    rtcp_out: Cipher,
    rtp_in: Cipher,
    rtcp_in: Cipher,
    rtcp_index: u32,
    /// What ciphers read or write besides; kept between packets, so that none allocates.
    plain: Vec<u8>,
    sha1: &'static dyn Sha1HmacProvider,
}

impl Srtp {
    /// The protection that a handshake agreed on.
    pub fn new(provider: &CryptoProvider, keys: &Keys) -> Result<Self, SrtpError> {
        let (key, salt) = match keys.profile {
            SrtpProfile::AES128_CM_SHA1_80 => (Aes128CmSha1_80::KEY_LEN, Aes128CmSha1_80::SALT_LEN),
            SrtpProfile::AEAD_AES_128_GCM => (AeadAes128Gcm::KEY_LEN, AeadAes128Gcm::SALT_LEN),
            SrtpProfile::AEAD_AES_256_GCM => (AeadAes256Gcm::KEY_LEN, AeadAes256Gcm::SALT_LEN),
            _ => return Err(SrtpError::Profile),
        };
        let (client_key, rest) = keys.material.split_at_checked(key).ok_or(SrtpError::Material)?;
        let (server_key, salts) = rest.split_at_checked(key).ok_or(SrtpError::Material)?;
        let (client_salt, server_salt) = salts.split_at_checked(salt).ok_or(SrtpError::Material)?;
        if server_salt.len() != salt {
            return Err(SrtpError::Material);
        }
        let srtp_provider = provider.srtp_provider;
        let client = Master { key: client_key, salt: client_salt, provider: srtp_provider };
        let server = Master { key: server_key, salt: server_salt, provider: srtp_provider };
        let (own, other) = if keys.active { (client, server) } else { (server, client) };
        Ok(Self {
            rtp_out: Cipher::new(&own, keys.profile, true, true)?,
            rtcp_out: Cipher::new(&own, keys.profile, false, true)?,
            rtp_in: Cipher::new(&other, keys.profile, true, false)?,
            rtcp_in: Cipher::new(&other, keys.profile, false, false)?,
            rtcp_index: 0,
            plain: Vec::new(),
            sha1: provider.sha1_hmac_provider,
        })
    }

    /// Seals a packet in place: its RTP header with extensions, of an SSRC of this side, is in `out` from `start` on, its payload from `body` to the end.
    /// `index` is its extended sequence number, used for no other packet of that SSRC, or again for the very same bytes. What can't be sealed is taken
    /// out.
    pub fn seal_rtp(
        &mut self,
        start: usize,
        body: usize,
        ssrc: u32,
        index: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let sealed = self.seal_in_place(start, body, ssrc, index, out);
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    fn seal_in_place(
        &mut self,
        start: usize,
        body: usize,
        ssrc: u32,
        index: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let (roc, seq, end) = ((index >> 16) as u32, index as u16, out.len());
        match &mut self.rtp_out {
            Cipher::Gcm { salt, key } => {
                let (before, plain) = out.split_at_mut_checked(body).ok_or(SrtpError::Short)?;
                let header = before.get(start..).ok_or(SrtpError::Short)?;
                let nonce = Nonce::assume_unique_for_key(AeadAes128Gcm::rtp_iv(*salt, ssrc, roc, seq));
                let tag =
                    key.seal_in_place_separate_tag(nonce, Aad::from(header), plain).map_err(|_| SrtpError::Cipher)?;
                out.extend_from_slice(tag.as_ref());
            }
            Cipher::Counter { salt, tag_key, cipher } => {
                self.plain.clear();
                self.plain.extend_from_slice(out.get(body..).ok_or(SrtpError::Short)?);
                out.resize(end + COUNTER_SLACK, 0);
                let room = out.get_mut(body..).ok_or(SrtpError::Short)?;
                let sealed = cipher.encrypt(&Aes128CmSha1_80::rtp_iv(*salt, ssrc, index), &self.plain, room);
                sealed.map_err(|_| SrtpError::Cipher)?;
                out.truncate(end);
                out.resize(end + Aes128CmSha1_80::HMAC_TAG_LEN, 0);
                let packet = out.get_mut(start..).ok_or(SrtpError::Short)?;
                let (sha1, length) = (self.sha1, end - start);
                Aes128CmSha1_80::rtp_hmac(|key, parts| sha1.sha1_hmac(key, parts), tag_key, packet, index, length);
            }
        }
        Ok(())
    }

    /// Opens a packet of the other side's: its header is `header` bytes long, `index` is its extended sequence number. The payload is deciphered straight to where
    /// all who receive it will read it.
    pub fn open_rtp(&mut self, sealed: Sealed<'_>) -> Result<Arc<[u8]>, SrtpError> {
        let Sealed { packet, header, ssrc, index } = sealed;
        let (header, body) = packet.split_at_checked(header).ok_or(SrtpError::Short)?;
        let tag = match &self.rtp_in {
            Cipher::Gcm { .. } => GCM_TAG,
            Cipher::Counter { .. } => Aes128CmSha1_80::HMAC_TAG_LEN,
        };
        let at = body.len().checked_sub(tag).ok_or(SrtpError::Short)?;
        let (body, tag) = body.split_at_checked(at).ok_or(SrtpError::Short)?;
        let mut payload: Arc<[u8]> = std::iter::repeat_n(0, body.len()).collect();
        let plain = Arc::get_mut(&mut payload).ok_or(SrtpError::Short)?;
        match &mut self.rtp_in {
            Cipher::Gcm { salt, key } => {
                let iv = AeadAes128Gcm::rtp_iv(*salt, ssrc, (index >> 16) as u32, index as u16);
                let nonce = Nonce::assume_unique_for_key(iv);
                key.open_separate_gather(nonce, Aad::from(header), body, tag, plain).map_err(|_| SrtpError::Cipher)?;
            }
            Cipher::Counter { salt, tag_key, cipher } => {
                let (sha1, signed) = (self.sha1, packet.get(..header.len() + body.len()).ok_or(SrtpError::Short)?);
                let hmac = |key: &[u8], parts: &[&[u8]]| sha1.sha1_hmac(key, parts);
                if !Aes128CmSha1_80::rtp_verify(hmac, tag_key, signed, index, tag) {
                    return Err(SrtpError::Cipher);
                }
                self.plain.clear();
                self.plain.resize(body.len() + COUNTER_SLACK, 0);
                let opened = cipher.decrypt(&Aes128CmSha1_80::rtp_iv(*salt, ssrc, index), body, &mut self.plain);
                opened.map_err(|_| SrtpError::Cipher)?;
                plain.copy_from_slice(self.plain.get(..body.len()).ok_or(SrtpError::Short)?);
            }
        }
        Ok(payload)
    }

    /// Seals reports of this side: a compound packet as RFC 3550 §6.1 has it.
    pub fn seal_rtcp(&mut self, reports: &[u8], out: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = reports.get(4..8).and_then(|bytes| bytes.try_into().ok()).ok_or(SrtpError::Short)?;
        let ssrc = u32::from_be_bytes(ssrc);
        let index = self.rtcp_index;
        if index >= ENCRYPTED {
            return Err(SrtpError::Exhausted);
        }
        self.rtcp_index += 1;
        let marked = (index | ENCRYPTED).to_be_bytes();
        let (clear, input) = reports.split_at_checked(RTCP_CLEAR).ok_or(SrtpError::Short)?;
        let start = out.len();
        out.extend_from_slice(clear);
        let sealed = match &mut self.rtcp_out {
            Cipher::Gcm { salt, key } => {
                out.extend_from_slice(input);
                let nonce = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                let sealed = seal(key, nonce, &rtcp_aad(clear, &marked), start + RTCP_CLEAR, out);
                out.extend_from_slice(&marked);
                sealed
            }
            Cipher::Counter { salt, tag_key, cipher } => {
                out.resize(start + reports.len() + COUNTER_SLACK, 0);
                let body = out.get_mut(start + RTCP_CLEAR..).ok_or(SrtpError::Short)?;
                let sealed = cipher.encrypt(&Aes128CmSha1_80::rtp_iv(*salt, ssrc, index.into()), input, body);
                out.truncate(start + reports.len());
                out.extend_from_slice(&marked);
                let length = out.len() - start;
                out.resize(start + length + Aes128CmSha1_80::HMAC_TAG_LEN, 0);
                let sha1 = self.sha1;
                if let Some(packet) = out.get_mut(start..) {
                    Aes128CmSha1_80::rtcp_hmac(|key, parts| sha1.sha1_hmac(key, parts), tag_key, packet, length);
                }
                sealed.map_err(|_| SrtpError::Cipher)
            }
        };
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    /// Opens the other side's reports into `out`, whose contents it replaces. They may be repeated by whoever can listen: what they cause
    /// must not add up.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), SrtpError> {
        open_rtcp(&mut self.rtcp_in, self.sha1, packet, out)
    }
}

/// Encrypts what `out` has from `body` on, and appends the tag (RFC 7714 §8.2, §9.2).
fn seal(key: &LessSafeKey, nonce: [u8; 12], aad: &[u8], body: usize, out: &mut Vec<u8>) -> Result<(), SrtpError> {
    let plain = out.get_mut(body..).ok_or(SrtpError::Short)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), plain).map_err(|_| SrtpError::Cipher)?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// What SRTCP authenticates without encrypting it: header and index (RFC 7714 §9.2).
fn rtcp_aad(clear: &[u8], marked: &[u8; RTCP_INDEX]) -> [u8; AeadAes128Gcm::RTCP_AAD_LEN] {
    let mut aad = [0u8; AeadAes128Gcm::RTCP_AAD_LEN];
    for (to, from) in aad.iter_mut().zip(clear.iter().chain(marked)) {
        *to = *from;
    }
    aad
}

fn open_rtcp(
    cipher: &mut Cipher,
    sha1: &dyn Sha1HmacProvider,
    packet: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SrtpError> {
    out.clear();
    let (clear, rest) = packet.split_at_checked(RTCP_CLEAR).ok_or(SrtpError::Short)?;
    let ssrc = clear.get(4..).and_then(|bytes| bytes.try_into().ok()).ok_or(SrtpError::Short)?;
    let ssrc = u32::from_be_bytes(ssrc);
    let (body, marked) = match cipher {
        Cipher::Gcm { .. } => {
            let at = rest.len().checked_sub(RTCP_INDEX).filter(|at| *at >= GCM_TAG).ok_or(SrtpError::Short)?;
            rest.split_at(at)
        }
        Cipher::Counter { tag_key, .. } => {
            let tail = Aes128CmSha1_80::HMAC_TAG_LEN + RTCP_INDEX;
            let at = rest.len().checked_sub(tail).ok_or(SrtpError::Short)?;
            let (signed, tag) =
                packet.split_at_checked(packet.len() - Aes128CmSha1_80::HMAC_TAG_LEN).ok_or(SrtpError::Short)?;
            if !Aes128CmSha1_80::rtcp_verify(|key, parts| sha1.sha1_hmac(key, parts), tag_key, signed, tag) {
                return Err(SrtpError::Cipher);
            }
            let (body, tail) = rest.split_at(at);
            (body, tail.get(..RTCP_INDEX).unwrap_or_default())
        }
    };
    let marked: [u8; RTCP_INDEX] = marked.try_into().map_err(|_| SrtpError::Short)?;
    let word = u32::from_be_bytes(marked);
    let index = word & !ENCRYPTED;
    // What is not encrypted was not asked for: RFC 5764 profiles encrypt.
    if word & ENCRYPTED == 0 {
        return Err(SrtpError::Cipher);
    }
    out.extend_from_slice(clear);
    let opened = match cipher {
        Cipher::Gcm { salt, key } => {
            out.extend_from_slice(body);
            let nonce = Nonce::assume_unique_for_key(AeadAes128Gcm::rtcp_iv(*salt, ssrc, index));
            let sealed = out.get_mut(RTCP_CLEAR..).ok_or(SrtpError::Short)?;
            let plain = key.open_in_place(nonce, Aad::from(rtcp_aad(clear, &marked)), sealed);
            plain.map(|plain| plain.len()).map_err(|_| SrtpError::Cipher)
        }
        Cipher::Counter { salt, cipher, .. } => {
            out.resize(RTCP_CLEAR + body.len() + COUNTER_SLACK, 0);
            let plain = out.get_mut(RTCP_CLEAR..).ok_or(SrtpError::Short)?;
            let opened = cipher.decrypt(&Aes128CmSha1_80::rtp_iv(*salt, ssrc, index.into()), body, plain);
            opened.map(|()| body.len()).map_err(|_| SrtpError::Cipher)
        }
    };
    match opened {
        Ok(length) => {
            out.truncate(RTCP_CLEAR + length);
            Ok(())
        }
        Err(_) => {
            out.clear();
            Err(SrtpError::Cipher)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use str0m::{config::KeyingMaterial, crypto::from_feature_flags};

    const PROFILES: [SrtpProfile; 3] =
        [SrtpProfile::AES128_CM_SHA1_80, SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM];

    fn pair(profile: SrtpProfile) -> (Srtp, Srtp) {
        let provider = from_feature_flags();
        let material: Vec<u8> = (0..profile.keying_material_len()).map(|byte| byte as u8).collect();
        let side = |active| {
            let keys = Keys { profile, material: KeyingMaterial::new(&material), active };
            Srtp::new(&provider, &keys).unwrap()
        };
        (side(true), side(false))
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn session_keys_are_the_rfcs() {
        let provider = from_feature_flags();
        let key = hex::decode("E1F97A0D3E018BE0D64FA32C06DE4139").unwrap();
        let salt = hex::decode("0EC675AD498AFEEBB6960B3AABE6").unwrap();
        let master = Master { key: &key, salt: &salt, provider: provider.srtp_provider };
        assert_eq!(hex::encode_upper(master.derive::<16>(Label::RtpCipher)), "C61E7A93744F39EE10734AFE3FF7A087");
        assert_eq!(hex::encode_upper(master.derive::<14>(Label::RtpSalt)), "30CBBC08863D8C85D49DB34A9AE1");
        assert_eq!(hex::encode_upper(master.derive::<20>(Label::RtpTag)), "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    }

    /// RFC 7714 §16.1.1: the session key and salt themselves, without derivation.
    #[test]
    fn sealed_packets_are_the_rfcs() {
        let decode = |text: &str| hex::decode(text).unwrap();
        let key: Vec<u8> = (0..16).collect();
        let salt = decode("517569642070726f2071756f").try_into().unwrap();
        let (mut client, _) = pair(SrtpProfile::AEAD_AES_128_GCM);
        client.rtp_out = Cipher::gcm(&AES_128_GCM, &key, salt).unwrap();
        let header = decode("8040f17b8041f8d35501a0b2");
        let plain = b"Gallia est omnis divisa in partes tres";
        let mut out = Vec::new();
        out.extend_from_slice(&header);
        out.extend_from_slice(plain);
        client.seal_rtp(0, header.len(), 0x5501_a0b2, 0xf17b, &mut out).unwrap();
        let sealed = "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce";
        assert_eq!(hex::encode(&out[12..]), sealed);
    }

    #[test]
    fn reports_are_opened_by_the_other_side_alone() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            let reports: Vec<u8> = [0x80, 201, 0, 1, 1, 2, 3, 4].into_iter().chain([7; 24]).collect();
            let (mut sealed, mut opened) = (vec![9; 3], Vec::new());
            client.seal_rtcp(&reports, &mut sealed).unwrap();
            assert_eq!(sealed[..3], [9; 3], "appended");
            server.open_rtcp(&sealed[3..], &mut opened).unwrap();
            assert_eq!(opened, reports);
            assert_eq!(client.open_rtcp(&sealed[3..], &mut opened), Err(SrtpError::Cipher));
            let mut again = Vec::new();
            client.seal_rtcp(&reports, &mut again).unwrap();
            assert_ne!(again, sealed[3..], "another index");
        }
    }

    #[test]
    fn changed_or_cut_reports_are_refused() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            let reports: Vec<u8> = [0x80, 201, 0, 1, 1, 2, 3, 4].into_iter().chain([7; 12]).collect();
            let (mut sealed, mut opened) = (Vec::new(), Vec::new());
            client.seal_rtcp(&reports, &mut sealed).unwrap();
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(server.open_rtcp(&changed, &mut opened).is_err(), "{profile:?} {at}");
                assert!(server.open_rtcp(&sealed[..at], &mut opened).is_err(), "{profile:?} {at}");
            }
        }
    }

    /// A packet with a header of 12 bytes, of the source that it names.
    fn of(packet: &[u8], index: u64) -> Sealed<'_> {
        let ssrc = packet.get(8..12).map_or(7, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        Sealed { packet, header: 12, ssrc, index }
    }

    #[test]
    fn packets_are_the_other_sides_only_as_they_were_sealed() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            let header = [0x80, 96, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7];
            let mut sealed = [header.as_slice(), &[1; 50]].concat();
            client.seal_rtp(0, 12, 7, 65_541, &mut sealed).unwrap();
            assert_eq!(server.open_rtp(of(&sealed, 65_541)), Ok([1; 50].into()));
            assert_eq!(server.open_rtp(of(&sealed, 65_541)), Ok([1; 50].into()), "nothing is kept");
            assert!(server.open_rtp(of(&sealed, 5)).is_err(), "another round of numbers");
            assert!(client.open_rtp(of(&sealed, 65_541)).is_err(), "its own");
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(server.open_rtp(of(&changed, 65_541)).is_err(), "{profile:?} {at}");
                assert!(server.open_rtp(of(&sealed[..at], 65_541)).is_err(), "{profile:?} {at}");
            }
        }
    }

    #[test]
    fn a_sealed_packet_keeps_its_header_and_hides_its_payload() {
        for profile in PROFILES {
            let (mut client, _) = pair(profile);
            let header = [0x80, 96, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7];
            let sealed = |client: &mut Srtp| {
                let mut out = [[9; 5].as_slice(), &header, &[1; 100]].concat();
                client.seal_rtp(5, 17, 7, 65_541, &mut out).unwrap();
                assert_eq!(out[..5], [9; 5], "what was there before stays");
                out.split_off(5)
            };
            let out = sealed(&mut client);
            assert_eq!(out[..12], header);
            assert!(!out[12..].windows(8).any(|window| window == [1; 8]));
            assert!(out.len() > 112 && out.len() <= 112 + GCM_TAG);
            assert_eq!(out, sealed(&mut client));
            let mut short = vec![9; 5];
            assert_eq!(client.seal_rtp(5, 17, 7, 65_542, &mut short), Err(SrtpError::Short));
            assert_eq!(short, [9; 5]);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            for profile in PROFILES {
                let (mut client, _) = pair(profile);
                let mut out = Vec::new();
                prop_assert!(client.open_rtcp(&packet, &mut out).is_err());
                prop_assert!(client.open_rtp(of(&packet, 7)).is_err());
                prop_assert!(client.seal_rtcp(&packet, &mut out).is_ok() || packet.len() < 8);
            }
        }
    }
}
