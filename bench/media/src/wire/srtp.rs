//! SRTP and SRTCP with AES-GCM (RFC 7714), keys by RFC 3711 §4.3.
//!
//! The generator's own, since an engine's would decrypt all that comes: receivers read the clear header of every packet and
//! open only a sample.

use super::be32;
use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};

/// Bytes of the authentication tag.
pub const TAG: usize = 16;
/// Bytes that SRTCP adds: tag, then the E flag and index.
pub const RTCP_OVERHEAD: usize = TAG + 4;
const SALT: usize = 12;
/// Set where the payload is encrypted, which is always (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;

/// A packet can't be protected or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// The keys don't have the profile's length.
    #[error("the keying material has the wrong length")]
    Material,
    /// The packet is shorter than header and tag.
    #[error("the packet is too short")]
    Short,
    /// It wasn't made with this key and number, or was changed.
    #[error("the packet isn't authentic")]
    NotAuthentic,
}

/// The protection that DTLS agreed on (RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// AEAD_AES_128_GCM.
    Gcm128,
    /// AEAD_AES_256_GCM.
    Gcm256,
}

impl Profile {
    fn key_len(self) -> usize {
        match self {
            Profile::Gcm128 => 16,
            Profile::Gcm256 => 32,
        }
    }

    /// The name in the registry of DTLS-SRTP profiles.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Gcm128 => "AEAD_AES_128_GCM",
            Profile::Gcm256 => "AEAD_AES_256_GCM",
        }
    }
}

struct Key {
    aead: LessSafeKey,
    salt: [u8; SALT],
}

impl Key {
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut iv = [0; SALT];
        // 2 octets of zero, SSRC, 6 octets of index: ROC and sequence number, or the SRTCP index (RFC 7714 §8.1, §9.1).
        let [_, _, index @ ..] = index.to_be_bytes();
        for (to, from) in iv.iter_mut().skip(2).zip(ssrc.to_be_bytes().into_iter().chain(index)) {
            *to = from;
        }
        iv.iter_mut().zip(self.salt).for_each(|(byte, salt)| *byte ^= salt);
        Nonce::assume_unique_for_key(iv)
    }

    fn open<'a>(&self, ssrc: u32, index: u64, aad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], SrtpError> {
        let nonce = self.nonce(ssrc, index);
        self.aead.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| SrtpError::NotAuthentic)
    }
}

/// One direction's keys.
pub struct Srtp {
    rtp: Key,
    rtcp: Key,
    next_rtcp: u32,
}

impl Srtp {
    /// Derives session keys from a master key and salt.
    pub fn new(profile: Profile, master: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let key = |encryption: u8, salting: u8| {
            let bytes = derive(profile, master, salt, encryption, profile.key_len())?;
            let algorithm = match profile {
                Profile::Gcm128 => &AES_128_GCM,
                Profile::Gcm256 => &AES_256_GCM,
            };
            let aead = LessSafeKey::new(UnboundKey::new(algorithm, &bytes).map_err(|_| SrtpError::Material)?);
            let salt = derive(profile, master, salt, salting, SALT)?;
            Ok(Key { aead, salt: salt.try_into().map_err(|_| SrtpError::Material)? })
        };
        // The labels of RFC 3711 §4.3.1 and §4.3.2.
        Ok(Self { rtp: key(0, 2)?, rtcp: key(3, 5)?, next_rtcp: 1 })
    }

    /// Both directions out of DTLS's exported material (RFC 5764 §4.2): what the DTLS client writes, and what it reads.
    pub fn pair(profile: Profile, material: &[u8]) -> Result<(Self, Self), SrtpError> {
        let len = profile.key_len();
        let part = |at: usize, len: usize| material.get(at..at + len).ok_or(SrtpError::Material);
        let client = Self::new(profile, part(0, len)?, part(2 * len, SALT)?)?;
        let server = Self::new(profile, part(len, len)?, part(2 * len + SALT, SALT)?)?;
        Ok((client, server))
    }

    /// Appends to `packet`, which holds header and payload, the tag, and encrypts the payload. `index` is the extended sequence
    /// number: rollover counter and sequence number.
    pub fn protect_rtp(&self, packet: &mut Vec<u8>, header: usize, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        self.protect_last(packet, 0, header, ssrc, index)
    }

    /// The same for the last packet of several in a row: it begins at `begin`.
    pub fn protect_last(
        &self,
        packets: &mut Vec<u8>,
        begin: usize,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtp.nonce(ssrc, index);
        let packet = packets.get_mut(begin..).ok_or(SrtpError::Short)?;
        let (aad, payload) = packet.split_at_mut_checked(header).ok_or(SrtpError::Short)?;
        let tag = self.rtp.aead.seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
        packets.extend_from_slice(tag.map_err(|_| SrtpError::Short)?.as_ref());
        Ok(())
    }

    /// Opens a packet in place; returns the payload.
    pub fn open_rtp<'a>(
        &self,
        packet: &'a mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<&'a mut [u8], SrtpError> {
        let (aad, sealed) = packet.split_at_mut_checked(header).ok_or(SrtpError::Short)?;
        self.rtp.open(ssrc, index, aad, sealed)
    }

    /// Encrypts a (compound) RTCP packet.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = be32(packet, 4).ok_or(SrtpError::Short)?;
        let index = self.next_rtcp;
        self.next_rtcp = (self.next_rtcp + 1) & !ENCRYPTED;
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let (header, payload) = packet.split_at_mut_checked(8).ok_or(SrtpError::Short)?;
        // The index is authenticated too, after the header (RFC 7714 §9.2).
        let aad: Vec<u8> = header.iter().copied().chain(trailer).collect();
        let nonce = self.rtcp.nonce(ssrc, index.into());
        let tag = self.rtcp.aead.seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
        packet.extend_from_slice(tag.map_err(|_| SrtpError::Short)?.as_ref());
        packet.extend_from_slice(&trailer);
        Ok(())
    }

    /// Opens a compound RTCP packet.
    pub fn open_rtcp(&self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let at = packet.len().checked_sub(4).ok_or(SrtpError::Short)?;
        let ssrc = be32(packet, 4).ok_or(SrtpError::Short)?;
        let trailer = be32(packet, at).ok_or(SrtpError::Short)?;
        let (header, rest) = packet.split_at_checked(8).ok_or(SrtpError::Short)?;
        let aad: Vec<u8> = header.iter().copied().chain(trailer.to_be_bytes()).collect();
        let mut sealed = rest.get(..rest.len().saturating_sub(4)).ok_or(SrtpError::Short)?.to_vec();
        let plain = self.rtcp.open(ssrc, (trailer & !ENCRYPTED).into(), &aad, &mut sealed)?;
        let mut opened = header.to_vec();
        opened.extend_from_slice(plain);
        Ok(opened)
    }
}

/// AES in counter mode as a pseudo-random function (RFC 3711 §4.3.3; for 12 octets of salt RFC 7714 §11).
fn derive(profile: Profile, master: &[u8], salt: &[u8], label: u8, len: usize) -> Result<Vec<u8>, SrtpError> {
    let mut iv = [0; 16];
    if master.len() != profile.key_len() || salt.len() != SALT {
        return Err(SrtpError::Material);
    }
    iv.iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
    if let Some(byte) = iv.get_mut(7) {
        *byte ^= label;
    }
    let algorithm = match profile {
        Profile::Gcm128 => &AES_128,
        Profile::Gcm256 => &AES_256,
    };
    let key = UnboundCipherKey::new(algorithm, master).and_then(EncryptingKey::ctr).map_err(|_| SrtpError::Material)?;
    let mut stream = vec![0; len];
    let context = EncryptionContext::Iv128(FixedLength::from(&iv));
    key.less_safe_encrypt(&mut stream, context).map_err(|_| SrtpError::Material)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// RFC 7714 §16.1.1: the session key and salt themselves, without derivation.
    #[test]
    fn a_packet_is_sealed_as_the_rfc_shows() {
        let bytes: Vec<u8> = (0..16).collect();
        let key = || Key {
            aead: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes).unwrap()),
            salt: hex("517569642070726f2071756f").try_into().unwrap(),
        };
        let srtp = Srtp { rtp: key(), rtcp: key(), next_rtcp: 1 };
        let plain = hex(
            "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361 20696e207061727465732074726573",
        );
        let mut packet = plain.clone();
        srtp.protect_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
        let sealed =
            hex("8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd5 0d294e6f42a5f47a51c7d19b36de3adf \
             8833899d7f27beb16a9152cf765ee4390cce");
        assert_eq!(packet, sealed);
        assert_eq!(srtp.open_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap(), &plain[12..]);
    }

    #[test]
    fn both_sides_understand_each_other_and_nobody_else() {
        for (profile, len) in [(Profile::Gcm128, 56), (Profile::Gcm256, 88)] {
            let material: Vec<u8> = (0..len).collect();
            let (mut write, read) = Srtp::pair(profile, &material).unwrap();
            let (peer_read, mut peer_write) = Srtp::pair(profile, &material).unwrap();
            let plain = vec![0x80, 201, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4];
            for _ in 0..3 {
                let mut packet = plain.clone();
                write.protect_rtcp(&mut packet).unwrap();
                assert_eq!(packet.len(), plain.len() + RTCP_OVERHEAD);
                assert_eq!(peer_read.open_rtcp(&packet).unwrap(), plain);
                assert_eq!(read.open_rtcp(&packet), Err(SrtpError::NotAuthentic));
                packet[9] ^= 1;
                assert_eq!(peer_read.open_rtcp(&packet), Err(SrtpError::NotAuthentic));
            }
            let mut packet = plain.clone();
            peer_write.protect_rtcp(&mut packet).unwrap();
            assert_eq!(read.open_rtcp(&packet).unwrap(), plain);
            assert!(Srtp::pair(profile, &material[1..]).is_err());
        }
    }
}
