//! The values that labels may have. They are closed lists, so that no client can make a series of ours.

/// Declares a label as an enum: its variants, in order, each with the value that it has at `/metrics`.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $variant:ident => $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$value_doc])* $variant),* }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: [$name; [$($text),*].len()] = [$($name::$variant),*];

            /// The label's value at `/metrics`.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }
    };
}

label! {
    /// How lines came in.
    Protocol {
        /// Bodies of requests.
        Http => "http",
        /// Datagrams.
        Udp => "udp",
        /// Streams.
        Tcp => "tcp",
        /// The daemon's own metrics.
        Internal => "internal",
    }
}

label! {
    /// What a second name became one with.
    Names {
        /// Two fields of a row.
        Field => "field",
        /// Two measurements, with the names of their fields.
        Measurement => "measurement",
        /// Two tags.
        Tag => "tag",
    }
}

label! {
    /// Why a sample took another's place in the same series and time.
    Overwritten {
        /// Two fields of one line are one series.
        Field => "field",
    }
}

label! {
    /// Why a line that was taken hardly means what its sender thinks.
    Suspect {
        /// It has strings alone, and none of them is kept.
        StringsAlone => "strings_alone",
        /// Its time looks like seconds and was read as something finer.
        Seconds => "time_in_seconds",
        /// The same, like milliseconds.
        Milliseconds => "time_in_milliseconds",
        /// The same, like microseconds.
        Microseconds => "time_in_microseconds",
        /// Its sender names no database.
        NoDatabase => "no_database",
    }
}

label! {
    /// Where samples are held.
    Tier {
        /// Open and sealed chunks in memory, which the log protects.
        Memory => "memory",
        /// Chunk files.
        Disk => "disk",
        /// The part of the chunk files that is held in memory as well.
        Resident => "resident",
    }
}

label! {
    /// Why a request was not served.
    RequestRejection {
        /// It is not HTTP, or its parameters cannot be read.
        Malformed => "malformed",
        /// No such path, or no such database.
        NotFound => "not_found",
        /// The path does not know this method.
        Method => "method",
        /// `http.max_body_bytes` or `http.max_compressed_bytes`
        BodyTooLarge => "body_too_large",
        /// The body does not decompress, or says a coding that we do not speak.
        Encoding => "encoding",
        /// The token is missing or wrong.
        Forbidden => "forbidden",
        /// `cardinality.max_databases`
        TooManyDatabases => "too_many_databases",
        /// Too much to do, or shutting down.
        Unavailable => "unavailable",
    }
}

label! {
    /// What is short where a write is refused for now.
    Shortage {
        /// `memory.limit`
        Memory => "memory",
        /// `disk.min_free_bytes`
        Disk => "disk",
        /// `ingest.max_samples_per_second`
        Rate => "rate",
        /// `http.body_timeout`: the body came too slowly.
        Time => "time",
    }
}

label! {
    /// Why a connection had no TLS handshake.
    HandshakeFailure {
        /// `http.header_timeout`
        Timeout => "timeout",
        /// The client left, or the connection broke.
        Closed => "closed",
        /// The client speaks HTTP without TLS.
        PlainHttp => "plain_http",
        /// The client speaks something else.
        NotTls => "not_tls",
        /// The client does not take what we show: most often it does not trust the certificate.
        Refused => "refused",
        /// We have no version, cipher or protocol in common.
        Incompatible => "incompatible",
        /// It begins as a handshake, and does not go on as one.
        Malformed => "malformed",
    }
}

label! {
    /// What was asked.
    Endpoint {
        /// `/api/v1/query`
        Query => "query",
        /// `/api/v1/query_range`
        QueryRange => "query_range",
        /// `/api/v1/series`
        Series => "series",
        /// `/api/v1/labels`
        Labels => "labels",
        /// `/api/v1/label/<name>/values`
        LabelValues => "label_values",
        /// What reads samples in other ways.
        Other => "other",
    }
}

label! {
    /// How a query ended.
    Outcome {
        /// With an answer.
        Ok => "ok",
        /// It was not a query: 400.
        Invalid => "invalid",
        /// It reached a limit: 422.
        Limit => "limit",
        /// `query.timeout`
        Timeout => "timeout",
        /// It did not get its turn within `query.queue_timeout`.
        Queue => "queue",
        /// The client left.
        Cancelled => "cancelled",
        /// The store failed: 500.
        Failed => "failed",
    }
}
