/// The hidden paths beside a target, where what is to appear there grows.
///
/// - `.NAME.RANDOM.partial`: what one writer makes, and after an exchange what it replaced.
/// - `.NAME.resumable.partial`: what several runs make together.
/// - `.NAME.replaced.partial`: what was replaced, on file systems that cannot exchange. There is one
///   at most, so that it is certain what to put back.
struct PartialPaths: Sendable {
  /// The target, without slashes at its end.
  let target: String
  /// The folder of the target, and of all these paths.
  let folder: String
  private let stem: String

  init(for target: String) {
    let (folder, name) = Folder.parts(of: target)
    self.target = folder == "." && !target.hasPrefix("./") ? name : Folder.join(folder, name)
    self.folder = folder
    stem = "." + Self.shortened(name) + "."
  }

  /// A path that nothing has yet.
  func fresh() -> String {
    let digits = (0..<Self.digitCount).map { _ in Self.alphabet.randomElement() ?? "0" }
    return Folder.join(folder, stem + String(digits) + Self.partial)
  }

  /// The path that all runs for this target share.
  var resumable: String { Folder.join(folder, stem + Self.resumableWord + Self.partial) }

  /// Where what is replaced goes for a moment.
  var replaced: String { Folder.join(folder, stem + Self.replacedWord + Self.partial) }

  /// What a name in the folder is to this target.
  enum Role { case partial, resumable, replaced }

  /// What a name in the folder is to this target; nil where it is nothing of ours.
  func role(of name: String) -> Role? {
    // Bytes are compared: `hasPrefix` would take other spellings of a character for the same name.
    guard name.utf8.starts(with: stem.utf8) else { return nil }
    let rest = Substring(name.utf8.dropFirst(stem.utf8.count)).utf8
    guard rest.count > Self.partial.utf8.count,
      rest.suffix(Self.partial.utf8.count).elementsEqual(Self.partial.utf8)
    else { return nil }
    let word = rest.dropLast(Self.partial.utf8.count)
    if word.elementsEqual(Self.resumableWord.utf8) { return .resumable }
    if word.elementsEqual(Self.replacedWord.utf8) { return .replaced }
    let isRandom = word.count == Self.digitCount && word.allSatisfy(Self.alphabet.utf8.contains)
    return isRandom ? .partial : nil
  }

  private static let partial = ".partial"
  // Neither has as many letters as the random ones.
  private static let resumableWord = "resumable"
  private static let replacedWord = "replaced"
  private static let digitCount = 13
  private static let alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

  /// File systems allow names of 255 bytes; longer ones keep their beginning, and a hash of all of
  /// it (FNV-1a, 64 bits) tells them apart.
  private static func shortened(_ name: String) -> String {
    guard name.utf8.count > 200 else { return name }
    let hash = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { hash, byte in
      (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
    }
    var beginning = name.unicodeScalars[...]
    while beginning.reduce(0, { $0 + $1.utf8.count }) > 180 { beginning = beginning.dropLast() }
    return String(String.UnicodeScalarView(beginning)) + "~" + String(hash, radix: 36)
  }
}
