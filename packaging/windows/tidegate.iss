; The Windows installer, for Inno Setup 6: iscc /DVersion=1.2.3 tidegate.iss
; For one user, without administrator rights. It takes away what it brought; settings and history stay.
#ifndef Version
  #error Say which version: /DVersion=1.2.3
#endif

[Setup]
AppId={{6C1B7C0E-5B0F-4C0B-9A55-7C3B0E7D7A11}
AppName=Tidegate
AppVersion={#Version}
AppPublisher=The Tidegate authors
DefaultDirName={autopf}\Tidegate
DefaultGroupName=Tidegate
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
LicenseFile=..\..\LICENSE
SetupIconFile=..\..\icons\tidegate.ico
UninstallDisplayIcon={app}\tidegatew.exe
OutputDir=..\..\dist
OutputBaseFilename=tidegate-{#Version}-setup
Compression=lzma2
SolidCompression=yes
ChangesEnvironment=yes
; A running Tidegate is asked to end, so that its files can be replaced, and started again.
CloseApplications=yes
RestartApplications=yes
WizardStyle=modern

[Tasks]
Name: autostart; Description: "Start Tidegate when I sign in"; Flags: unchecked
Name: path; Description: "Make the command `tidegate` known to terminals"

[Files]
Source: "..\..\dist\tidegate\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[Icons]
; Windows shows toasts only of programs whose shortcut carries the id they are sent with: tray/notify.py, APP_NAME.
Name: "{group}\Tidegate"; Filename: "{app}\tidegatew.exe"; AppUserModelID: "Tidegate"

[Registry]
Root: HKCU; Subkey: "Environment"; ValueType: expandsz; ValueName: "Path"; ValueData: "{olddata};{app}"; \
  Tasks: path; Check: IsNotInPath(ExpandConstant('{app}'))

[Run]
; What starts at sign-in is the program that was asked to see to it: the one without a terminal.
Filename: "{app}\tidegatew.exe"; Parameters: "autostart on"; Flags: runhidden; Tasks: autostart
Filename: "{app}\tidegatew.exe"; Description: "Start Tidegate"; Flags: nowait postinstall skipifsilent

[UninstallRun]
; Programs that use Tidegate get their settings back. An installer that replaces an older one does not come here.
Filename: "{app}\tidegate.exe"; Parameters: "undo"; Flags: runhidden; RunOnceId: "undo"
Filename: "{app}\tidegate.exe"; Parameters: "autostart off"; Flags: runhidden; RunOnceId: "autostart"

[Code]
function PathOfUser(): string;
begin
  if not RegQueryStringValue(HKCU, 'Environment', 'Path', Result) then
    Result := '';
end;

function IsNotInPath(Folder: string): Boolean;
begin
  Result := Pos(';' + Uppercase(Folder) + ';', ';' + Uppercase(PathOfUser()) + ';') = 0;
end;

procedure CurUninstallStepChanged(Step: TUninstallStep);
var
  Kept: string;
  At: Integer;
begin
  if Step <> usPostUninstall then
    exit;
  Kept := ';' + PathOfUser() + ';';
  At := Pos(';' + Uppercase(ExpandConstant('{app}')) + ';', Uppercase(Kept));
  if At = 0 then
    exit;
  Delete(Kept, At, Length(ExpandConstant('{app}')) + 1);
  RegWriteExpandStringValue(HKCU, 'Environment', 'Path', Copy(Kept, 2, Length(Kept) - 2));
end;
