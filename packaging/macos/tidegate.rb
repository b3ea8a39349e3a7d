cask "tidegate" do
  version "@VERSION@"
  sha256 arm:   "@SHA256_ARM64@",
         intel: "@SHA256_X86_64@"

  arch arm: "arm64", intel: "x86_64"

  url "@HOME@/releases/download/v#{version}/tidegate-#{version}-#{arch}.dmg"
  name "Tidegate"
  desc "@SUMMARY@"
  homepage "@HOME@"

  depends_on macos: ">= :big_sur"

  app "Tidegate.app"
  binary "#{appdir}/Tidegate.app/Contents/MacOS/tidegate"

  uninstall launchctl: "@ID@",
            quit:      "@ID@"

  zap trash: [
    "~/Library/Application Support/tidegate",
    "~/Library/Logs/tidegate",
  ]

  # Not an uninstall step: Homebrew runs those before each upgrade as well.
  caveats "Before you uninstall it, run `tidegate undo`: programs that use Tidegate get their settings back."
end
