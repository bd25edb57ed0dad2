/// The hidden paths beside a target, where what is to appear there grows.
///
/// - `.NAME.RANDOM.partial`: what one writer makes, and after an exchange what it replaced.
/// - `.NAME.resumable.partial`: what several runs make together.
/// - `.NAME.RANDOM.old`: what is replaced, on file systems that cannot exchange.
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

  /// Where what is replaced by a partial goes for a moment.
  func old(for partialPath: String) -> String {
    String(partialPath.dropLast(Self.partial.count)) + Self.old
  }

  /// What a name in the folder is to this target.
  enum Role { case partial, resumable, old }

  /// What a name in the folder is to this target; nil where it is nothing of ours.
  func role(of name: String) -> Role? {
    // Bytes are compared: `hasPrefix` would take other spellings of a character for the same name.
    guard name.utf8.starts(with: stem.utf8) else { return nil }
    let rest = name.utf8.dropFirst(stem.utf8.count)
    if rest.elementsEqual((Self.resumableWord + Self.partial).utf8) { return .resumable }
    guard rest.prefix(Self.digitCount).allSatisfy(Self.alphabet.utf8.contains) else { return nil }
    let ending = rest.dropFirst(Self.digitCount)
    if ending.elementsEqual(Self.partial.utf8) { return .partial }
    return ending.elementsEqual(Self.old.utf8) ? .old : nil
  }

  private static let partial = ".partial"
  private static let old = ".old"
  private static let resumableWord = "resumable"
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
