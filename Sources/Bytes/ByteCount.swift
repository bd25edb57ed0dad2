/// The number of bytes that a text such as `4GB`, `1.5 GiB` or `4096` means, or nil where it means
/// none.
///
/// KB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB of 1024; case does not matter. A
/// fraction of a byte is dropped.
///
/// - Returns: a number from 1 to 2⁶⁰.
public func byteCount(_ text: String) -> Int? {
  let text = text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")) ~= $0 ? $0 | 0x20 : $0 }
  let digits = text.prefix {
    (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 || $0 == UInt8(ascii: ".")
  }
  let unit = text.dropFirst(digits.count).drop { $0 == UInt8(ascii: " ") }
  let factors: [String: Double] = [
    "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 0x1p10, "mib": 0x1p20,
    "gib": 0x1p30, "tib": 0x1p40,
  ]
  guard digits.first != UInt8(ascii: "."), digits.last != UInt8(ascii: "."),
    let number = Double(String(decoding: digits, as: UTF8.self)),
    let factor = factors[String(decoding: unit, as: UTF8.self)]
  else { return nil }
  let bytes = (number * factor).rounded(.down)
  return bytes >= 1 && bytes <= 0x1p60 ? Int(bytes) : nil
}
