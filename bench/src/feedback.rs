//! Lets requests for key frames through to the application: the stack's chain of interceptors keeps all RTCP to itself, unless one of them
//! says that a packet is to be delivered.

use rtc::{
    interceptor::{Attribute, Interceptor, Packet, Slot, StreamInfo, TaggedPacket},
    rtcp::payload_feedbacks::{full_intra_request::FullIntraRequest, picture_loss_indication::PictureLossIndication},
    sansio::Protocol,
    shared::error::Error,
};
use std::{collections::VecDeque, time::Instant};

/// Whether a packet asks for a key frame (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
pub fn asks_for_keyframe(packet: &dyn rtc::rtcp::Packet) -> bool {
    packet.as_any().is::<PictureLossIndication>() || packet.as_any().is::<FullIntraRequest>()
}

/// Marks compound packets with requests for key frames as the application's, the requests first: the stack looks at the first
/// packet to see which track they are about.
#[derive(Default)]
pub struct KeyframeRequests {
    reading: VecDeque<TaggedPacket>,
    writing: VecDeque<TaggedPacket>,
}

impl KeyframeRequests {
    /// Behind all that works with RTCP, as it changes the order.
    pub const SLOT: Slot = Slot::Custom(20_000);
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &mut packet.message.packet
            && packets.iter().any(|packet| asks_for_keyframe(packet.as_ref()))
        {
            packets.sort_by_key(|packet| !asks_for_keyframe(packet.as_ref()));
            packet.message.add(Attribute::DeliverToApplication);
        }
        self.reading.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reading.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.writing.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writing.pop_front()
    }
}

impl Interceptor for KeyframeRequests {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::{
        interceptor::{AttributedPacket, Registry},
        rtcp::receiver_report::ReceiverReport,
        shared::TransportContext,
    };

    /// What of a compound packet gets through the whole chain to the application.
    fn delivered(packets: Vec<Box<dyn rtc::rtcp::Packet>>) -> Option<Vec<Box<dyn rtc::rtcp::Packet>>> {
        let mut chain = Registry::new().with(KeyframeRequests::SLOT, KeyframeRequests::default()).build();
        let packet = TaggedPacket {
            now: Instant::now(),
            transport: TransportContext::default(),
            message: AttributedPacket::new(Packet::Rtcp(packets)),
        };
        chain.handle_read(packet).unwrap();
        match chain.poll_read()?.message.packet {
            Packet::Rtcp(packets) => Some(packets),
            _ => None,
        }
    }

    #[test]
    fn a_request_behind_a_report_reaches_the_application_first() {
        let request = PictureLossIndication { sender_ssrc: 0, media_ssrc: 7 };
        let packets = delivered(vec![Box::new(ReceiverReport::default()), Box::new(request)]).unwrap();
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0].destination_ssrc(), [7]);
        assert!(delivered(vec![Box::new(FullIntraRequest::default())]).is_some());
    }

    #[test]
    fn reports_alone_stay_in_the_chain() {
        assert!(delivered(vec![Box::new(ReceiverReport::default())]).is_none());
    }
}
